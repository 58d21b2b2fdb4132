"""Readings in which dictionaries and pypinyin differ: the one place where they are mended. 现代汉语词典 is followed.

A wrong reading is put right here, for all, or in a file of `text.readings`, for one voice.
"""

# Whole words. 一 and 不 are written with their own tone; `src.text.mandarin.sandhi` changes it.
_WORDS = """
一会儿 yi1 huir4
不得了 bu4 de2 liao3
东西 dong1 xi5
乌拉 wu1 la5
什么 shen2 me5
数一数 shu3 yi1 shu3
数不清 shu3 bu4 qing1
为了 wei4 le5
了不起 liao3 bu4 qi3
便宜 pian2 yi5
便宜货 pian2 yi5 huo4
人家 ren2 jia5
会计 kuai4 ji4
假发 jia3 fa4
发小 fa4 xiao3
哪里 na2 li5
小姐 xiao2 jie5
打点 da2 dian5
大夫 dai4 fu5
大宛 da4 yuan1
姥姥 lao3 lao5
尽快 jin3 kuai4
子曰 zi3 yue1
扎实 zha1 shi5
朝鲜 chao2 xian3
流血 liu2 xue4
混淆 hun4 xiao2
熨斗 yun4 dou3
琢磨 zuo2 mo5
空调 kong1 tiao2
答应 da1 ying5
粘贴 zhan1 tie1
老婆 lao3 po5
薄荷 bo4 he5
行长 hang2 zhang3
银行行长 yin2 hang2 hang2 zhang3
行行好 xing2 xing5 hao3
觉得 jue2 de5
记得 ji4 de5
认得 ren4 de5
晓得 xiao3 de5
懂得 dong3 de5
值得 zhi2 de5
舍不得 she3 bu5 de5
恨不得 hen4 bu5 de5
巴不得 ba1 bu5 de5
怪不得 guai4 bu5 de5
由不得 you2 bu5 de5
算不得 suan4 bu5 de5
顾不得 gu4 bu5 de5
差不多 cha4 bu5 duo1
对不起 dui4 bu5 qi3
来不及 lai2 bu5 ji2
了得 liao3 de5
说不定 shuo1 bu5 ding4
还书 huan2 shu1
还钱 huan2 qian2
还清 huan2 qing1
还债 huan2 zhai4
还给 huan2 gei3
咖喱 ga1 li5
只身 zhi1 shen1
头发 tou2 fa5
长发 chang2 fa4
短发 duan3 fa4
好处 hao3 chu5
用处 yong4 chu5
坏处 huai4 chu5
害处 hai4 chu5
长处 chang2 chu5
一点儿 yi1 dianr3
有点儿 you3 dianr3
差点儿 cha4 dianr3
大家伙儿 da4 jia1 huor3
玩意儿 wan2 yir4
玩儿命 wanr2 ming4
儿女 er2 nv3
数数 shu2 shu5
背着 bei1 zhe5
长得 zhang3 de5
果实累累 guo3 shi2 lei2 lei2
大学生 da4 xue2 sheng1
中学生 zhong1 xue2 sheng1
小学生 xiao3 xue2 sheng1
留学生 liu2 xue2 sheng1
长高 zhang3 gao1
很长 hen3 chang2
长胖 zhang3 pang4
分子 fen1 zi3
相片 xiang4 pian4
以此为荣 yi3 ci3 wei2 rong2
"""

# Words whose last syllable has no tone (必读轻声词), and whose other readings pypinyin has right.
_NEUTRAL = str.split(
    "爱人 巴掌 爸爸 白净 帮手 包袱 包涵 本事 比方 扁担 别扭 拨弄 簸箕 补丁 部分 财主 裁缝 苍蝇 柴火 称呼 除了 "
    "畜生 窗户 刺猬 凑合 耷拉 打扮 打发 打量 打算 打听 大方 大爷 耽搁 耽误 道士 灯笼 提防 弟弟 弟兄 点心 东家 "
    "动静 动弹 豆腐 嘟囔 队伍 对付 对头 多么 恶心 耳朵 风筝 福气 甘蔗 干事 高粱 膏药 告诉 疙瘩 哥哥 胳膊 跟头 "
    "工夫 功夫 公公 姑姑 姑娘 骨头 故事 寡妇 怪物 关系 官司 罐头 规矩 闺女 蛤蟆 含糊 行当 合同 和尚 核桃 后头 "
    "厚道 狐狸 胡琴 糊涂 护士 皇上 活泼 火候 伙计 机灵 脊梁 记号 记性 家伙 架势 嫁妆 见识 将就 交情 叫唤 结实 "
    "街坊 姐夫 姐姐 戒指 舅舅 咳嗽 客气 口袋 窟窿 快活 阔气 喇叭 懒得 浪头 老实 老爷 累赘 篱笆 里头 力气 厉害 "
    "利落 利索 痢疾 连累 凉快 粮食 溜达 萝卜 骆驼 妈妈 麻烦 麻利 马虎 码头 买卖 馒头 忙活 冒失 眉毛 媒人 妹妹 "
    "门道 眯缝 迷糊 苗条 苗头 名堂 名字 明白 蘑菇 模糊 木匠 木头 那么 奶奶 难为 脑袋 能耐 念叨 念头 娘家 奴才 "
    "女婿 暖和 疟疾 拍打 牌楼 盘算 朋友 脾气 屁股 便当 漂亮 婆家 婆婆 铺盖 欺负 前头 亲戚 勤快 清楚 亲家 拳头 "
    "热闹 人们 认识 扫帚 商量 上司 上头 烧饼 少爷 什么 生意 牲口 师父 师傅 石匠 石榴 石头 时候 实在 拾掇 使唤 "
    "世故 似的 事情 收成 收拾 首饰 叔叔 舒服 舒坦 疏忽 爽快 思量 算计 岁数 他们 她们 它们 踏实 太太 特务 挑剔 "
    "跳蚤 铁匠 头头 吐沫 妥当 唾沫 挖苦 娃娃 晚上 早上 尾巴 委屈 稳当 我们 喜欢 下巴 吓唬 先生 乡下 相声 消息 "
    "小气 笑话 谢谢 心思 星星 猩猩 行李 兄弟 休息 秀才 秀气 学生 学问 丫头 衙门 哑巴 胭脂 烟筒 眼睛 秧歌 养活 "
    "吆喝 妖精 钥匙 爷爷 衣服 衣裳 意思 应酬 冤枉 月饼 月亮 云彩 运气 在乎 咱们 怎么 扎实 眨巴 栅栏 张罗 丈夫 "
    "帐篷 丈人 招呼 招牌 折腾 这个 那个 哪个 这么 枕头 芝麻 知识 指头 指甲 主意 转悠 庄稼 壮实 状元 字号 自在 "
    "祖宗 嘴巴 作坊 琢磨 做作 地方 妻子 孩子 儿子 你们 舌头 外头 甜头 锄头 砖头 丈母 妯娌 伯伯 婶婶 嫂嫂 宝宝 "
    "宝贝 葡萄 玻璃 琵琶 枇杷 牡丹 胡同 打手 出息 起来 进来 进去 回来 回去 过来 过去 上来 上去 下来 下去 底下 "
    "时辰 见得 使得 免得 省得 舍得 显得 差事 差使 活计 神气 困难"
)

# Characters on their own, or in words that no dictionary has.
_CHARACTERS = """
得 de5  地 di4  着 zhe5  谁 shei2  教 jiao1  嗯 en4  呣 en2  欸 ei4  诶 ei4  子 zi3  血 xie3
剥 bao1  薄 bao2  削 xiao1  熟 shu2  嘛 ma5  呗 bei5  喽 lou5  咯 lo5  〇 ling2  幺 yao1  一 yi1
不 bu4  没 mei2  都 dou1  还 hai2  只 zhi3  长 chang2  行 xing2  为 wei4  种 zhong3  几 ji3
和 he2  给 gei3  说 shuo1  重 zhong4  倒 dao4  当 dang1  发 fa1  系 xi4  空 kong1  分 fen1
中 zhong1  好 hao3  少 shao3  大 da4  要 yao4  数 shu4  似 si4  把 ba3  尽 jin4  更 geng4
便 bian4  干 gan4  卡 ka3  打 da3  了 le5  的 de5  吗 ma5  呢 ne5  吧 ba5  啦 la5  么 me5  们 men5
背 bei4  难 nan2  藏 cang2  转 zhuan3  假 jia3  调 tiao2  弹 tan2  乐 le4  觉 jue2  论 lun4
传 chuan2  量 liang2  处 chu4  看 kan4  那 na4  哪 na3
"""

# Words that end in 儿 with its own syllable, and so do longer ones that end in them.
OWN_ER = tuple(
    str.split(
        "女儿 婴儿 幼儿 孤儿 胎儿 少儿 小儿 健儿 宠儿 男儿 混血儿 低能儿 新生儿 早产儿 弃儿 患儿 婴幼儿 妻儿 "
        "育儿 娇儿 托儿 产儿 宁馨儿 幸运儿 弄潮儿 生儿 吾儿 爱儿 犬儿"
    )
)

# Words whose 子 keeps its third tone: masters and children, seeds, and particles of physics. In others it is neutral.
OWN_ZI = tuple(
    str.split(
        "电子 男子 女子 太子 王子 公子 天子 君子 才子 弟子 学子 游子 浪子 赤子 逆子 孝子 母子 父子 独子 养子 "
        "次子 长子 幼子 世子 皇子 臣子 诸子 孔子 孟子 荀子 庄子 墨子 列子 晏子 韩非子 夫子 原子 分子 离子 "
        "粒子 量子 质子 中子 光子 因子 介子 核子 孢子 卵子 精子 配子 松子 莲子 瓜子 棋子 鱼子 芥子 童子 仙子 "
        "义子 亲子 处子 骄子 巨子 甲子 庚子 附子 栀子 五味子 遗腹子 独生子 私生子 菟丝子 鬼谷子 士子 犬子 "
        "孺子 舍利子 西门子 扬子"
    )
)

# Names of families that are read otherwise than the word; they are told by 姓 before them.
_FAMILIES = "单 shan4  曾 zeng1  任 ren2  仇 qiu2  查 zha1  解 xie4  朴 piao2  区 ou1  华 hua4  盖 ge3  尹 yin3  洗 xian3  乐 yue4"


def _table() -> dict[str, tuple[str, ...]]:
    return {word: tuple(syllables) for word, *syllables in (line.split() for line in _WORDS.strip().splitlines())}


WORDS = _table()
FAMILIES = dict(zip(_FAMILIES.split()[::2], _FAMILIES.split()[1::2], strict=True))
CHARACTERS = dict(zip(_CHARACTERS.split()[::2], _CHARACTERS.split()[1::2], strict=True))
NEUTRAL = frozenset(_NEUTRAL)
